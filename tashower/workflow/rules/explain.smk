localrules:
    explain,


rule explain:
    """What the first network looks at; of the others RESULTS/explain/NAME.html."""
    input:
        [f"{RESULTS}/explain/{name}.html" for name in NETWORKS[:1]],


rule explain_network:
    input:
        checkpoint=f"{RESULTS}/networks/{{network}}/checkpoint.pt",
        events=chunks(EVENTS, "test")[:1],
        fits=chunks(FITS, "test")[:1],
    output:
        f"{RESULTS}/explain/{{network}}.html",
    log:
        f"{RESULTS}/logs/explain_network/{{network}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/explain_network/{{network}}.tsv"
    conda:
        "../environment.yml"
    threads: lambda wildcards: TRAINING[wildcards.network]["threads"]
    resources:
        # It sees as many events as an application, and holds gradients: twice the memory is measured.
        mem_mb=lambda wildcards, attempt: 2
        * memory("apply_network")(wildcards, attempt),
        runtime=minutes("apply_network"),
        gpu=lambda wildcards: gpus(wildcards.network),
    params:
        device=device,
        made_by=lambda wildcards: explained(wildcards.network),
    shell:
        "tashower explain {input.checkpoint:q} --events {input.events:q} --fits {input.fits:q}"
        " --device {params.device} --output {output:q} 2>&1 | tee {log:q}"
