# One image for the worker and the gateway; the command line decides which.
FROM python:3.12-slim

# bubblewrap walls the plugins off; the container must allow user namespaces for it (see docs/operations.md).
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 loop \
    && install -d -o loop -g loop /app /home/loop/state

USER loop
WORKDIR /app

# The environment first, so that a change of the code does not install everything again.
COPY --chown=loop run.py pyproject.toml constraints.txt ./
RUN python -c "import run; run.prepare(run.ROOT)"
COPY --chown=loop . .

ENV UPGRADE_LOOP_HOME=/home/loop/state
VOLUME /home/loop/state
EXPOSE 8750
ENTRYPOINT ["python", "run.py"]
CMD ["--help"]
