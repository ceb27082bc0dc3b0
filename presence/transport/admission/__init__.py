"""Who is let in, and how much of it: tokens, hosts and origins, rates, headers, refusals."""
