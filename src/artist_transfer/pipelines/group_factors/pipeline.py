"""Wiring of the artist group factors: one pipeline, used for four feature sets."""

from kedro.pipeline import Node, Pipeline

from artist_transfer.pipelines.group_factors.nodes import NAMES, FeatureSet, extract_essentia

SHARED = {"usable_table", "split_table"}
RESULTS = ("factor_table", "reading_table", "factor_facts")
FITTING = ["params:factors", "params:fit_on", "params:seed", "params:cache_root"]


def create_pipeline(*, tasks: str = "params:tasks", **kwargs: object) -> Pipeline:
    """Wire spectrograms, Essentia's descriptors and subgenres to four factor tables.

    Parameters
    ----------
    tasks : str
        The dataset that says which tasks are wanted.
    **kwargs : object
        Unused; Kedro's convention.

    Returns
    -------
    Pipeline
        The extraction, and three nodes in each of the namespaces mfcc, dmfcc, essentia and subgenres.
    """
    extraction = Pipeline(
        nodes=[
            Node(
                extract_essentia,
                inputs=[
                    "usable_table",
                    "corpus_facts",
                    "params:factors",
                    tasks,
                    "params:embeddings",
                    "params:workers",
                    "params:cache_root",
                    "params:cluster",
                ],
                outputs="essentia_manifest",
                name="extract_essentia",
            )
        ]
    )
    return sum((_feature_set(kind, tasks) for kind in NAMES), extraction)


def _feature_set(kind: str, tasks: str) -> Pipeline:
    nodes = FeatureSet(kind)
    features = "essentia_manifest" if kind == "e" else "mel_manifest"
    tracks = ["usable_table", "split_table", features]
    template = Pipeline(
        nodes=[
            Node(
                nodes.fit_dictionary,
                inputs=[
                    *tracks,
                    "params:factors",
                    tasks,
                    "params:embeddings",
                    "params:fit_on",
                    "params:seed",
                    "params:cache_root",
                ],
                outputs="dictionary_manifest",
                name="fit_dictionary",
            ),
            Node(
                nodes.count_words,
                inputs=["dictionary_manifest", *tracks, *FITTING],
                outputs="bag_manifest",
                name="count_words",
            ),
            Node(
                nodes.find_groups,
                inputs=["bag_manifest", *tracks, *FITTING],
                outputs=list(RESULTS),
                name="find_groups",
            ),
        ]
    )
    parameters = {name for node in template.nodes for name in node.inputs if name.startswith("params:")}
    return Pipeline(
        nodes=template,
        namespace=NAMES[kind],
        inputs={*SHARED, features} | ({tasks} - parameters),
        outputs={name: f"{NAMES[kind]}_{name}" for name in RESULTS},
        parameters=parameters,
    )
