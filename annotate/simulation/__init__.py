"""The loop replayed on samples whose labels are all known: what would each query strategy have saved?"""
