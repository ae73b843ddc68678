"""A recorded run made again, plan by plan and command by command."""
