"""What other nodes do on the topics of a controller."""
