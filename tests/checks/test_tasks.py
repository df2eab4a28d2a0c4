"""How answers are judged: kinds of wrong answer, misconceptions, partial credit, effects."""

import math

import pytest

from course_lib.checks import (
    CannotCheckError,
    EdgeCase,
    Effect,
    EffectTask,
    Feedback,
    Misconception,
    PredictionTask,
    Status,
    Task,
    read_with,
    spark_setting,
)
from course_lib.units import byte_string_as_bytes


def usable(heap, reserve):
    if heap < reserve:
        raise ValueError("too small")
    return heap - reserve


def a_task(**changes):
    return Task(
        **{
            "name": "usable",
            "title": "Usable memory",
            "points": 3,
            "reference": usable,
            "examples": ((1000, 300), (500, 300)),
            "draw_inputs": lambda random: [
                *((random.randrange(500, 5000), 300) for _ in range(6)),
                (300, 300),
                (200, 300),
            ],
            "misconceptions": (
                Misconception("forgets the reserve", "That forgets it.", lambda heap, _: heap),
                Misconception("adds the reserve", "That adds it.", lambda h, r: h + r),
            ),
            **changes,
        }
    )


def test_a_right_answer_written_in_another_way_is_right():
    def answer(heap, reserve):
        rest = float(heap)
        rest -= reserve
        if rest < 0:
            raise UnicodeError("any ValueError will do")
        return rest

    feedback = a_task().grade(answer, 0)
    assert (feedback.status, feedback.points, repr(feedback)) == (Status.RIGHT, 3, "3.0")


def test_right_for_the_examples_is_not_right_for_the_hidden_inputs():
    table = {1000: 700, 500: 200}
    answer = lambda heap, reserve: table.get(heap, 0)  # noqa: E731
    check, grade = a_task().check(answer), a_task().grade(answer, 0)
    assert check.status is Status.RIGHT
    assert "right for these examples" in str(check)
    assert "points" not in str(check)
    assert grade.status is Status.NOT_YET
    assert "(0 of 3 points)" in str(grade)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (5, "`usable` should be a function; it is 5."),
        ("usable", "`usable` should be a function; it is 'usable'."),
        (math.nan, "`usable` should be a function; it is nan."),
        (lambda heap, reserve: "700", "returns is '700'; it should be a number"),
        (lambda heap, reserve: math.nan, "is nan, which is not a number"),
        (lambda heap, reserve: [700], "is [700]; it should be a number"),
        (lambda heap, reserve: (yield), "a generator (did you write yield"),
        (lambda heap, reserve: 1 // 0, "raises `ZeroDivisionError: "),
        (lambda heap: heap, "takes 1 positional argument but 2 were given"),
        (lambda heap, reserve: print("x") or heap // 2, "`usable(1000, 300)` returns 500"),
    ],
)
def test_a_wrong_answer_gets_a_plain_sentence(answer, says, capsys):
    for feedback in (a_task().check(answer), a_task().grade(answer, 0)):
        assert feedback.status is Status.NOT_YET
        assert feedback.points == 0
        assert says in str(feedback)
        assert "Traceback" not in str(feedback) + feedback._repr_html_()
    assert capsys.readouterr() == ("", "")


def test_an_error_names_the_line_of_the_answer():
    def answer(heap, reserve):
        return heap - reserv  # noqa: F821

    feedback = a_task().check(answer)
    line = answer.__code__.co_firstlineno + 1
    assert f"NameError: name 'reserv' is not defined`, line {line} (return heap -" in str(feedback)


def test_an_endless_answer_is_given_up_after_the_stated_time():
    def answer(heap, reserve):
        while True:
            pass

    feedback = a_task(timeout_s=0.2).grade(answer, 0)
    assert feedback.points == 0
    assert "`usable(1000, 300)` had not ended after 0.2 seconds, and was given up." in str(feedback)


def test_what_an_answer_prints_is_shown():
    def answer(heap, reserve):
        print("<heap>", heap)
        return 0

    feedback = a_task().check(answer)
    assert "    <heap> 1000" in str(feedback)
    assert "&lt;heap&gt; 1000" in feedback._repr_html_()


def test_refusing_where_a_value_is_right_and_the_other_way_round():
    def refuses_all(heap, reserve):
        raise ValueError("no")

    def returns_always(heap, reserve):
        return heap - reserve

    def refuses_wrongly(heap, reserve):
        if heap < reserve:
            raise TypeError("no")
        return heap - reserve

    task = a_task()
    assert "raises `ValueError: no`" in str(task.grade(refuses_all, 0))
    assert "returns -100, but should refuse: too small" in str(task.grade(returns_always, 0))
    assert "a refusal is a ValueError" in str(task.grade(refuses_wrongly, 0))


def test_a_misconception_is_named_even_if_the_answer_strays_now_and_then():
    feedback = a_task().grade(lambda heap, reserve: 0 if heap < 300 else heap, 0)
    assert feedback.misconceptions == ("forgets the reserve",)
    assert "That forgets it." in feedback._repr_html_()


def test_an_answer_that_is_wrong_in_a_way_of_its_own_shows_no_misconception():
    feedback = a_task().grade(lambda heap, reserve: heap * 2, 0)
    assert feedback.misconceptions == ()


def test_each_part_of_a_dict_may_show_a_misconception_of_its_own():
    task = a_task(
        reference=lambda h, r: {"usable": h - r, "half": (h - r) / 2},
        misconceptions=(
            Misconception("no reserve", "None.", lambda h, r: {"usable": h, "half": h / 2}),
            Misconception("a third", "Third.", lambda h, r: {"usable": h - r, "half": (h - r) / 3}),
        ),
    )
    both = lambda h, r: {"usable": h, "half": (h - r) / 3}  # noqa: E731
    assert task.grade(both, 0).misconceptions == ("no reserve", "a third")
    half_right = lambda h, r: {"usable": h, "half": (h - r) / 2}  # noqa: E731
    assert task.grade(half_right, 0).misconceptions == ("no reserve",)


def test_independent_misconceptions_are_all_named():
    def sign(x):
        return x if x > 0 else 0

    task = a_task(
        reference=lambda x: sign(x),
        examples=((1,), (2,)),
        draw_inputs=lambda random: [(n,) for n in range(-8, 8)],
        misconceptions=(
            Misconception("keeps negatives", "N.", lambda x: x),
            Misconception("doubles", "D.", lambda x: 2 * x if x > 0 else 0),
        ),
    )
    assert set(task.grade(lambda x: x if x < 0 else 2 * x, 0).misconceptions) == {
        "keeps negatives",
        "doubles",
    }


def test_missing_only_an_edge_case_costs_only_its_points():
    edge = EdgeCase("all reserve", "Mind the heap that is all reserve.", lambda h, r: h == r, 1)
    task = a_task(edge_cases=(edge,))

    def misses_the_edge(heap, reserve):
        if heap <= reserve:
            raise ValueError
        return heap - reserve

    feedback = task.grade(misses_the_edge, 0)
    assert (feedback.status, repr(feedback)) == (Status.PARTLY_RIGHT, "2.0")
    assert edge.says in feedback.says
    assert repr(task.grade(lambda heap, reserve: abs(heap - reserve), 0)) == "0.0"


def test_with_an_effect_it_is_what_happens_that_counts():
    tried = []

    def effect(arguments, value):
        tried.append((arguments, value))
        return Effect(value >= 700, f"{value} was tried.", "measured: 700 is needed")

    task = a_task(reference=lambda h, r: 900, draw_inputs=lambda random: [], effect=effect)
    assert task.grade(lambda h, r: 701, 0).status is Status.RIGHT
    assert tried == [((1000, 300), 701), ((500, 300), 701)]
    tried.clear()
    feedback = task.grade(lambda h, r: 699, 0)
    assert feedback.points == 0
    assert "699 was tried. (measured: 700 is needed)" in str(feedback)
    assert len(tried) == 1, "what failed once is not tried again"
    assert "it should be a number" in str(task.grade(lambda h, r: "700", 0))
    assert len(tried) == 1, "what is no number is not tried"


def test_what_is_to_be_refused_is_not_tried_out():
    def refuses_small(heap, reserve):
        if heap < 1000:
            raise ValueError("too small")
        return heap - reserve

    def effect(arguments, value):
        return Effect(value == arguments[0] - arguments[1], "it did not fit")

    task = a_task(
        reference=refuses_small,
        examples=((500, 300), (2000, 300)),
        draw_inputs=lambda random: [(400, 300), (3000, 300)],
        effect=effect,
        misconceptions=(),
        edge_cases=(),
    )
    assert task.grade(refuses_small, 1).status is Status.RIGHT
    assert task.grade(lambda heap, reserve: heap - reserve, 1).status is Status.NOT_YET


def cannot(*_):
    raise CannotCheckError("there is no Java")


def test_what_cannot_be_tried_out_is_said_in_a_check_and_raised_in_grading():
    settings = an_effect_task(run=cannot)
    for task, answer in ((a_task(effect=cannot), usable), (settings, {"memory": "512m"})):
        assert "cannot be checked here: there is no Java" in str(task.check(answer))
        with pytest.raises(CannotCheckError):
            task.grade(answer, 0)


def a_prediction_task():
    return PredictionTask(
        name="sizes",
        title="Sizes",
        points=4,
        reference=lambda: {"small": 10, "large": 100},
        misconceptions=(
            Misconception("doubles", "That doubles it.", lambda: {"small": 20, "large": 200}),
            Misconception("halves", "That halves it.", lambda: {"large": 50}),
        ),
        within=1,
    )


@pytest.mark.parametrize(
    ("answer", "points", "names", "says"),
    [
        ({"small": 10.5, "large": 100}, 4, (), "small: right."),
        ({"small": 10, "large": 50}, 2, ("halves",), "large: not 50. That halves it."),
        ({"small": 20, "large": 50}, 0, ("doubles", "halves"), "small: not 20. That doubles it."),
        ({"small": 20, "large": 200}, 0, ("doubles",), "That doubles it."),
        ({"small": 10, "large": 7}, 2, (), "large: not 7."),
        ({"small": 10, "large": ...}, 2, (), "large: no value yet."),
        ({"small": 10}, 2, (), "large: no value yet."),
        ({"small": 10, "large": "100"}, 2, (), "large: the value is '100'; it should be a number"),
        ({"small": math.nan, "large": 100}, 2, (), "small: the value is nan"),
        ({"smal": 10}, 0, (), "There is no key 'smal'."),
        (17, 0, (), "`sizes` should be a dict; it is 17."),
    ],
)
def test_each_predicted_value_counts_on_its_own(answer, points, names, says):
    feedback = a_prediction_task().grade(answer)
    assert (feedback.points, feedback.misconceptions) == (points, names)
    assert says in str(feedback)
    assert "100" not in str(a_prediction_task().check({"small": 1, "large": 2})), "no answers"


def an_effect_task(**changes):
    def read(answer):
        if unknown := set(answer) - {"memory"}:
            raise ValueError(f"unknown setting {unknown.pop()!r}")
        if not answer["memory"].endswith("m"):
            raise ValueError("Size must be specified as …")
        return int(answer["memory"].removesuffix("m"))

    def run(memory):
        if memory >= 512:
            return Effect(True, "It fits.", f"{memory} MiB")
        return Effect(False, "It died.", "exit code 137", misconception="takes heap for all")

    return EffectTask(
        **{
            "name": "settings",
            "title": "Settings",
            "points": 2,
            "read": read,
            "run": run,
            "reference": lambda: {"memory": "512m"},
            "misconceptions": (
                Misconception("takes heap for all", "There is more.", lambda: {"memory": "256m"}),
            ),
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("answer", "points", "says"),
    [
        ({"memory": "600m"}, 2, "It fits. (600 MiB)"),
        ({"memory": "100m"}, 0, "It died. (exit code 137)"),
        ({"memory": "ten"}, 0, "Size must be specified as"),
        ({"memry": "512m"}, 0, "unknown setting 'memry'"),
        ("512m", 0, "`settings` should be a dict of settings; it is '512m'."),
    ],
)
def test_settings_are_read_and_then_tried(answer, points, says):
    feedback = an_effect_task().grade(answer)
    assert feedback.points == points
    assert says in str(feedback)


def test_what_happened_names_the_misconception_behind_the_settings():
    feedback = an_effect_task().grade({"memory": "256m"})
    assert feedback.misconceptions == ("takes heap for all",)
    assert "There is more." in str(feedback)


def test_what_was_just_checked_is_not_tried_again_for_the_points():
    tried = []

    def run(memory):
        tried.append(memory)
        return Effect(True, "It fits.")

    task = an_effect_task(run=run)
    answer = {"memory": "512m"}
    task.check(answer)
    assert task.grade(answer).points == 2
    assert tried == [512]
    task.grade(answer)
    task.check(answer)
    task.check(answer)
    task.grade({"memory": "1024m"})
    assert tried == [512, 512, 512, 512, 1024]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"heep": "1g"}, "There is no setting 'heep' here; did you mean heap?"),
        ({5: "1g"}, "There is no setting 5 here; there are heap, spark.memory.fraction"),
        ({"heap": "1g"}, "spark.memory.fraction: no value yet"),
        ({"heap": ..., "spark.memory.fraction": "0.6"}, "heap: no value yet"),
        ({"heap": 5, "spark.memory.fraction": "0.6"}, "heap: a size is a string such as '512m'"),
        ({"heap": "1.5g", "spark.memory.fraction": "0.6"}, "Fractional values are not supported"),
        ({"heap": "1g", "spark.memory.fraction": "half"}, "It should be a/an 'double' value"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_they_are_tried(answer, complaint):
    task = an_effect_task(
        read=read_with(
            {
                "heap": byte_string_as_bytes,
                "spark.memory.fraction": spark_setting("spark.memory.fraction"),
            }
        ),
        run=lambda settings: pytest.fail("must not be tried"),
    )
    feedback = task.check(answer)
    assert feedback.status is Status.NOT_YET
    assert complaint in str(feedback)


def test_settings_are_read_into_what_they_mean():
    read = read_with({"heap": byte_string_as_bytes, "cores": spark_setting("spark.executor.cores")})
    assert read({"heap": "1g", "cores": "4"}) == {"heap": 2**30, "cores": 4}
    with pytest.raises(KeyError, match=r"spark\.memory\.fraction"):
        spark_setting("spark.memory.fractio")


def test_points_outside_the_task_are_refused():
    with pytest.raises(ValueError, match="between 0 and 2"):
        Feedback("Title", Status.RIGHT, points=3, max_points=2)


def test_feedback_as_html_is_escaped_and_sets_code():
    feedback = Feedback("A < B", Status.NOT_YET, 0, 2, ("`x < 1` is <b>bold</b>", "one ` only"))
    html = feedback._repr_html_()
    assert "A &lt; B" in html
    assert "<code>x &lt; 1</code> is &lt;b&gt;bold&lt;/b&gt;" in html
    assert "one ` only" in html
