rule learning_curve:
    """What networks gain by more showers to learn from: of a configuration with several `showers`."""
    input:
        f"{RESULTS}/scores.json",
    output:
        tables=f"{RESULTS}/learning_curve.md",
        figure=f"{RESULTS}/learning_curve.png",
    log:
        f"{RESULTS}/logs/learning_curve.log",
    conda:
        "../environment.yml"
    params:
        made_by=scored(),
    shell:
        "tashower learning-curve {input:q} --output {output.tables:q} 2>&1 | tee {log:q}"
