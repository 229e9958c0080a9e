"""The program that runs in every house: user, mediator, grid master, controller."""
