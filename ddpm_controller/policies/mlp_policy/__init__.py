"""A plain feedback law: a multilayer perceptron of one observation, as locomotion is trained."""
