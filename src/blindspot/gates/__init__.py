"""Gates: the verdicts, the rule that reaches them, and the limits and waivers it reads."""
