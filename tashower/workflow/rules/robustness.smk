rule robustness:
    """What was learned in one world, tested in all: of a configuration with `robustness.worlds`."""
    input:
        events=lambda wildcards: in_worlds(EVENTS),
        fits=lambda wildcards: in_worlds(FITS),
        networks=[
            path
            for name in NETWORKS
            for world in WORLDS
            for path in applied(name, world)
        ],
    output:
        scores=f"{RESULTS}/robustness.json",
        tables=f"{RESULTS}/robustness.md",
        lines=f"{RESULTS}/robustness.csv",
        figure=f"{RESULTS}/robustness.png",
    log:
        f"{RESULTS}/logs/robustness.log",
    benchmark:
        f"{RESULTS}/benchmarks/robustness.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("score_methods"),
        runtime=minutes("score_methods", len(WORLDS)),
    params:
        config=handed("robustness"),
        made_by=tabulated(),
        events=lambda wildcards, input: named(
            [world_of(world) for world in WORLDS for _ in chunks(EVENTS, world)],
            input.events,
        ),
        networks=lambda wildcards, input: named(
            [
                name
                for name in NETWORKS
                for world in WORLDS
                for _ in applied(name, world)
            ],
            input.networks,
        ),
    shell:
        "tashower robustness {params.events:q} --config {params.config:q} --fits {input.fits:q}"
        " --network {params.networks:q} --output {output.scores:q} 2>&1 | tee {log:q}"
