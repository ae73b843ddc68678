"""From recorded episodes to the windows and statistics that a network learns from."""
