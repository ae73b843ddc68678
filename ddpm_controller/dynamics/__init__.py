"""State, action -> next state, batched: rollouts of MuJoCo models."""
