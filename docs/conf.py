"""The documentation site: `make docs` builds it, with no network. Its colors are those of the figures."""

import hashlib
import json
import re
import runpy
import shutil
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

import neural_microscope as nm
from neural_microscope.phantoms import open_record

HERE = Path(__file__).parent
ROOT = HERE.parent

ADDRESS = runpy.run_path(str(ROOT / "address.py"))
CARDS = runpy.run_path(str(HERE / "cards.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

project = "neural-microscope"
author = "The neural-microscope authors"
copyright = author
version = release = installed("neural-microscope")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "pictures.py"]
nb_execution_mode = "off"  # the notebooks contain their outputs
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure"]  # the benchmarks' headings; cells that are not Python

default_role = "py:obj"  # `single backticks` in docstrings name things of this package
autodoc_member_order = "bysource"
autodoc_typehints = "description"  # types stand in the tables of arguments
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_inherit_docstrings = False  # torch's and matplotlib's docstrings for their own methods
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

TOKENS = json.loads((ROOT / "src/neural_microscope/plots/tokens.json").read_text("utf-8"))


def colors(theme: str) -> dict[str, str]:
    """A theme's colors by furo's names."""
    look = TOKENS[theme]
    link = look["negative"] if theme == "light" else look["amount"]
    return {
        "color-foreground-primary": look["ink"],
        "color-foreground-secondary": look["quiet"],
        "color-foreground-muted": look["quiet"],
        "color-background-primary": look["paper"],
        "color-background-secondary": look["paper"],
        "color-background-border": look["grid"],
        "color-brand-primary": look["ink"],
        "color-brand-content": link,
        "color-brand-visited": link,
        "color-api-name": look["ink"],
        "color-api-pre-name": look["quiet"],
        "font-stack": ", ".join(f"'{font}'" for font in TOKENS["fonts"]) + ", sans-serif",
    }


html_theme = "furo"
html_title = project
html_theme_options = {
    "light_css_variables": colors("light"),
    "dark_css_variables": colors("dark"),
    **ADDRESS["theme_options"](ADDRESS["repository"]()),
}
html_static_path = ["_static"]
html_css_files = ["cards.css"]
html_copy_source = False
html_show_sourcelink = False


def copy_notebooks() -> None:
    """Copies the notebooks into the site, and a picture of each. Their links to docs/ become links within the site."""
    made = HERE / "notebooks"
    shutil.rmtree(made, ignore_errors=True)
    (made / "cards").mkdir(parents=True)
    for notebook in NOTEBOOKS:
        (made / "cards" / f"{notebook.stem}.png").write_bytes(CARDS["picture"](notebook)[0])
    for notebook in [*NOTEBOOKS, *(ROOT / "notebooks/exercises").glob("*.ipynb")]:
        copy = made / notebook.relative_to(ROOT / "notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * len(copy.relative_to(made).parts)
        copy.write_text(re.sub(r"\]\((\.\./)+docs/", f"]({up}", notebook.read_text("utf-8")), "utf-8")


copy_notebooks()


def explorer() -> Path:
    """The folder that holds an explorer page of the bundled digits, made again (ten seconds) if the package has changed."""
    package = Path(nm.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".json", ".js", ".css"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    folder = HERE / "_build" / "explorer" / key
    if not (folder / "explorer.html").exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        digits, training = nm.data.load("digits"), nm.TrainConfig(epochs=10, learning_rate=0.01)
        models = {
            "mlp": nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(24,)), seed=0),
            "cnn": nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(8,), head=(16,)), seed=0),
        }
        with tempfile.TemporaryDirectory() as runs:
            for name, model in models.items():
                nm.train(model, digits, training, observers=[nm.Recorder(Path(runs) / name)])
            opened = [nm.Run.open(Path(runs) / name) for name in models]
            nm.explorer.write(opened, folder / "explorer.html", snapshots=8)
    return folder


html_extra_path = [str(explorer())]


def readings(area: re.Match[str]) -> str:
    """A table of what this release's measures of an area found on their phantoms."""
    record = open_record()
    lines = ["| instrument | planted | truth | measured | false alarms |", "|---|---|--:|--:|--:|"]
    for name in record["instrument"].values:
        row = record.sel(instrument=name)
        if str(row["measure"].values).startswith(f"{area[1]}."):
            truth, read = (f"{round(float(row[key]), 9):.3g}".replace("-", "−") for key in ("truth", "measured"))
            lines.append(
                f"| {name} | {row['planted'].values} | {truth} | {read} | {100 * float(row['false_alarms']):.1f}% |"
            )
    said = f"What this release's instruments measured, and the share of {record.attrs['n_empty']} empty phantoms with a false alarm:"
    return "\n".join([said, "", *lines])


def filled(app, document: str, source: list[str]) -> None:
    """Fills in generated tables, cards and links to the explorer, and redirects links to project files outside docs/."""
    text = re.sub(r"<!-- readings: (\w+) -->", readings, source[0])
    text = text.replace("<!-- cards -->", CARDS["cards"](NOTEBOOKS, ADDRESS["repository"]()))
    page = "../" * document.count("/") + "explorer.html"
    text = re.sub(r"<!-- explorer: \[(.+?)\](.*?) -->", rf'<a href="{page}">\1</a>\2', text, flags=re.S)
    text = re.sub(r"\]\(\.\./((?:\.\./)*)notebooks/", r"](\1notebooks/", text)
    source[0] = re.sub(r"\]\((\.\./)+benchmarks/RESULTS\.md\)", "](/project/benchmarks.md)", text)


def as_called(app, what: str, name: str, thing, options, signature: str | None, returned: str | None):
    """Shortens defaults that are functions, and numbers that show their rounding."""
    if signature:
        signature = re.sub(r"<factory>|<function .*?>+", "…", signature)
        signature = re.sub(r"\d\.\d{9,}", lambda long: f"{float(long[0]):g}", signature)
    return signature, returned


def find(app, env, node, content):
    """Resolves `analysis.geometry.pca` in a docstring as a name of this package."""
    if node.get("refdomain") != "py" or node["reftarget"].startswith("neural_microscope"):
        return None
    target = f"neural_microscope.{node['reftarget']}"
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def setup(app) -> None:
    app.connect("source-read", filled)
    app.connect("autodoc-process-signature", as_called)
    app.connect("missing-reference", find)
