"""The model of the demonstration, as its repo has it: weights, card, report, the scripts that train, measure and use it."""
