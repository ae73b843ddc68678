"""What is doubtful in recordings: one check a function, over numbers as they were recorded."""
