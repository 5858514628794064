"""The vendors' wire formats for text: read a request into a wish, write an answer as the vendor does.

Each simulated vendor speaks every dialect, so that the gateway may pass a request on in the words it
came in; what a client sees is the vendor's format all the same.
"""
