"""Bad input and faults: each is answered with a code, a status and a sentence."""
