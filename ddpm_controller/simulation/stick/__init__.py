"""A stick on two joints: drum, sticky_lid, cue_reach."""
