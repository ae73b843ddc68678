"""Search at run time: one sampling loop, one file a method, and the policy that plans with it."""
