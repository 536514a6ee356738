import torch


def usable_on(device: torch.device) -> bool:
    return False
