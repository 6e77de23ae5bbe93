rule simulate_events:
    output:
        EVENTS,
    log:
        f"{RESULTS}/logs/simulate_events/{{split}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/simulate_events/{{split}}-{{chunk}}.tsv"
    # All fits wait for the calibration, which takes long on one core: its showers come first.
    priority: lambda wildcards: 1 if wildcards.split == "calibration" else 0
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("simulate_events"),
        runtime=minutes("simulate_events"),
    params:
        config=handed("simulate"),
        split=lambda wildcards: simulated_split(wildcards.split),
        chunk=lambda wildcards: int(wildcards.chunk),
        made_by=lambda wildcards: simulated(wildcards.split, wildcards.chunk),
    shell:
        "tashower simulate --config {params.config:q} --split {params.split} --chunk {params.chunk}"
        " --output {output:q} 2>&1 | tee {log:q}"
