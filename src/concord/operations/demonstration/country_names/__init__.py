"""The dataset of the demonstration, as its repo has it: the card, and the script that makes the rest."""
