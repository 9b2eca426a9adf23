import numpy
import pandas


def handler(event, context):
    values = numpy.array(event["values"], dtype="float64")
    frame = pandas.DataFrame({"group": event["groups"], "value": values})
    sums = frame.groupby("group")["value"].sum()
    solved = numpy.linalg.solve(numpy.array([[3.0, 1.0], [1.0, 2.0]]), numpy.array([9.0, 8.0]))
    return {
        "sums": {key: float(value) for key, value in sums.items()},
        "mean": float(values.mean()),
        "solved": [round(float(number), 9) for number in solved],
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
        "numpy_file": numpy.__file__,
    }
