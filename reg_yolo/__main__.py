"""`python -m reg_yolo`: the command `reg-yolo`, for launchers that start a module (`torchrun -m reg_yolo train`)."""

from reg_yolo.cli.app import main

if __name__ == "__main__":
    main()
