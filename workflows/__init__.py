"""The plans: Temporal workflows. They order, wait and decide what comes next; everything else is done by activities."""
