"""Linear maps between layers, as trained models and NIR graphs write them.

`steps` are the operations one by one, `maps` what several of them in a row come to as one synapse.
"""
