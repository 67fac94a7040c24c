"""Loss formulas. They know no codec."""
