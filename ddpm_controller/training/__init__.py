"""From episodes to a checkpoint: one function, used by the node and by the command line."""
