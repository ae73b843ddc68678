"""The commands: in a process of their own, or here."""
