localrules:
    compare,
    compare_backbones,


rule compare:
    """Run every configuration of `compare` and write comparison.html, beside it its tables."""
    log:
        "comparison.log",
    conda:
        "../environment.yml"
    threads: CORES
    params:
        runs=lambda wildcards, threads: run_each(threads),
        folders=[complete["results"] for complete in CONFIGURATIONS.values()],
        pairing="--unpaired" if len(SHOWERS_OF) > 1 else "",
    shell:
        "( {params.runs} && tashower compare {params.folders:q} {params.pairing} --output comparison.html )"
        " 2>&1 | tee {log:q}"


rule compare_backbones:
    """Run config/backbones.yaml and write backbones.md and backbones.json beside its scores."""
    log:
        "backbones.log",
    conda:
        "../environment.yml"
    threads: CORES
    params:
        run=lambda wildcards, threads: run_backbones(threads),
    shell:
        "( {params.run} ) 2>&1 | tee {log:q}"
