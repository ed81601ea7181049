"""`make tour`: what a pull request makes in Git, on any machine. No root, no cluster, under a minute."""
