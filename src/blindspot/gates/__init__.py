"""Gates: verdicts, the rule behind them, and the limits and waivers it reads."""
