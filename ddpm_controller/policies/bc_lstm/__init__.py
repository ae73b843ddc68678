"""Behaviour cloning with an LSTM."""
