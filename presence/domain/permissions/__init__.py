"""Who may do what: tokens and the rooms they are for, bans, TURN credentials."""
