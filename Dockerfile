# Untested: there was no machine to build it on. Its steps are those of `make setup`, which is tested.
#
# The command is the main job, detection over video:
#   docker build -t reg-yolo .
#   docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD:/work" reg-yolo runs/detect/train/weights/best.pt drive.mp4 --out found
# and with no words it runs the shipped weights over a drive of the embedded highway. Other commands:
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" --entrypoint reg-yolo reg-yolo data check my_roads.yaml
FROM python:3.11-slim

# OpenCV opens these two at import; Ultralytics asks for opencv-python, not for the headless wheel.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

COPY . /source
RUN python -m pip install --no-cache-dir torch torchvision \
    && python -m pip install --no-cache-dir "/source[data,inventory,track]" \
    && rm -rf /source

# Media of strangers are decoded without more rights than that needs.
RUN useradd --create-home reader
USER reader
WORKDIR /work
ENTRYPOINT ["reg-yolo", "predict"]
CMD ["demo", "--out", "/tmp/demo"]
