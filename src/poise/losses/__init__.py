"""Loss formulas that know no codec."""
