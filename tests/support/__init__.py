"""What tests of several rooms use: stock clients, browsers, tokens, programs they need."""
