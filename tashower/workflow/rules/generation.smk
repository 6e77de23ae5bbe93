"""Learned generators: trained on the training sample, applied to the showers of the test sample."""

GENERATORS = CONFIG["generators"]


rule train_generator:
    input:
        train=chunks(EVENTS, "train"),
        validation=chunks(EVENTS, "validation"),
    output:
        checkpoint=f"{RESULTS}/generators/{{generator}}/checkpoint.pt",
        history=f"{RESULTS}/generators/{{generator}}/history.json",
    log:
        f"{RESULTS}/logs/train_generator/{{generator}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_generator/{{generator}}.tsv"
    # It takes long.
    priority: 10
    conda:
        "../environment.yml"
    threads: lambda wildcards: GENERATORS[wildcards.generator]["threads"]
    resources:
        mem_mb=memory("train_generator"),
        runtime=lambda wildcards, attempt: minutes(
            "train_generator", GENERATORS[wildcards.generator]["epochs"]
        )(wildcards, attempt),
        gpu=lambda wildcards: gpus_for(GENERATORS[wildcards.generator]["device"]),
    params:
        config=handed("train-generator"),
        made_by=lambda wildcards: trained_generator(wildcards.generator),
        train=lambda wildcards, input: counted(input.train),
        validation=lambda wildcards, input: counted(input.validation),
    shell:
        "tashower train-generator --config {params.config:q} --generator {wildcards.generator}"
        " --train-events {params.train} --validation-events {params.validation}"
        " --output {output.checkpoint:q} 2>&1 | tee {log:q}"


rule generate_events:
    input:
        f"{RESULTS}/generators/{{generator}}/checkpoint.pt",
    output:
        f"{RESULTS}/generators/{{generator}}/test/{{chunk}}.h5",
    log:
        f"{RESULTS}/logs/generate_events/{{generator}}-{{chunk}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate_events/{{generator}}-{{chunk}}.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("generate_events"),
        runtime=minutes("generate_events"),
    params:
        config=handed("generate"),
        chunk=lambda wildcards: int(wildcards.chunk),
        made_by=lambda wildcards: generated(wildcards.generator, wildcards.chunk),
    shell:
        "tashower generate {input:q} --config {params.config:q} --split test"
        " --chunk {params.chunk} --output {output:q} 2>&1 | tee {log:q}"


rule generated:
    """All generated events of the test sample's showers."""
    input:
        [
            path
            for generator in GENERATORS
            for path in chunks(
                f"{RESULTS}/generators/{generator}/test/{{chunk}}.h5", "test"
            )
        ],


rule judge_generated:
    """The first chunk of every generator against that of the test sample; of the networks, those that correct a fit."""
    input:
        reference=chunks(EVENTS, "test")[:1],
        events=[
            chunks(f"{RESULTS}/generators/{generator}/test/{{chunk}}.h5", "test")[0]
            for generator in GENERATORS
        ],
        calibration=f"{RESULTS}/calibration.json",
        training=chunks(EVENTS, "train"),
        networks=[f"{RESULTS}/networks/{name}/checkpoint.pt" for name in CORRECTIONS],
    output:
        page=f"{RESULTS}/generated.html",
        numbers=f"{RESULTS}/generated.json",
    log:
        f"{RESULTS}/logs/judge_generated.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge_generated.tsv"
    conda:
        "../environment.yml"
    resources:
        mem_mb=memory("judge_generated"),
        runtime=minutes("judge_generated"),
    params:
        config=handed("judge"),
        made_by=judged() if GENERATORS else None,
        training=lambda wildcards, input: counted(input.training),
        networks=lambda wildcards, input: named(CORRECTIONS, input.networks),
    shell:
        "tashower judge {input.reference:q} {input.events:q} --config {params.config:q}"
        " --calibration {input.calibration:q} --training {params.training} --network {params.networks:q}"
        " --output {output.page:q} 2>&1 | tee {log:q}"
