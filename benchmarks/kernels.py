"""Every kernel alone, on one thread."""

from .common import SHAPES
from .internals import PHASES, VIEW_STEPS, phases, prox, view_steps


class Prox:
    params = list(SHAPES)
    param_names = ["shape"]

    def setup(self, name):
        self.run = prox(SHAPES[name])
        self.run()

    def time_prox(self, name):
        self.run()


class Iteration:
    """The phases of an iteration, and what is done now and then: a look at the residuals, new penalties, the objective."""

    params = [list(SHAPES), list(PHASES)]
    param_names = ["shape", "phase"]

    def setup(self, name, phase):
        self.run = phases(SHAPES[name])[phase]
        self.run()

    def time_phase(self, name, phase):
        self.run()


class View:
    """The steps of accumulating one view."""

    params = list(VIEW_STEPS)
    param_names = ["step"]

    def setup(self, step):
        self.run = view_steps()[step]
        self.run()

    def time_step(self, step):
        self.run()
