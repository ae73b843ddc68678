"""What a motion is worth: terms over batches of motions, composed in the YAML file of a task."""
