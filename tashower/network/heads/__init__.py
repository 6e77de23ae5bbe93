"""Heads: what the numbers at the end of a network mean, and what it is trained for.

A head is a module with three functions of normalised targets, n of them:

* `n_outputs(n_targets)`: how many numbers the model gives for an event;
* `loss(output, target)`: a scalar to minimise, from (b, n_outputs) and (b, n);
* `predict(output)`: (mean (b, n), covariance (b, n, n) or None).

Output 0 is no correction, with widths of 1 where the head has any.

A head whose regions are not those of a normal distribution has a fourth:

* `draw(output, points)`: (b, k, n) targets to which its density maps k normal points (k, n).
"""
