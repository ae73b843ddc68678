"""Commands that look at a robot and a checkpoint before anything moves."""
