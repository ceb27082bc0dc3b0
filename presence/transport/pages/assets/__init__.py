"""What the pages load, whichever page it is: scripts, style sheets, icons."""
