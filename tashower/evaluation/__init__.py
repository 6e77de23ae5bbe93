"""How good a reconstruction is: scores, figures, report."""
