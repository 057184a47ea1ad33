"""PyTorch's tutorial loop, one epoch per line of stdin, with Adam instead of SGD.

https://docs.pytorch.org/tutorials/beginner/basics/quickstart_tutorial.html
"""

# /// script
# dependencies = ["torch==2.13.0", "torchvision==0.28.0", "pillow==13.0.0", "numpy==2.4.6"]
# ///

import json
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

with np.load(sys.argv[1]) as data:
    inputs, targets, test_inputs, test_targets = (
        data[name] for name in ("inputs", "targets", "test_inputs", "test_targets")
    )


class Images(Dataset):
    """Does for each item what torchvision's FashionMNIST does, with rows in memory."""

    def __init__(self, rows, labels):
        self.images = torch.from_numpy((rows * 255).round().astype(np.uint8).reshape(-1, 28, 28))
        self.labels = torch.from_numpy(labels)
        self.transform = ToTensor()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image, label = self.images[index], int(self.labels[index])
        return self.transform(Image.fromarray(image.numpy())), label


torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
training = DataLoader(Images(inputs, targets), batch_size=128, shuffle=True)
for _ in sys.stdin:
    began_s = time.perf_counter()
    model.train()
    for images, labels in training:
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    epoch_s = time.perf_counter() - began_s
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(test_inputs)).argmax(1).numpy()
    print(json.dumps({"epoch_s": epoch_s, "accuracy": float((predicted == test_targets).mean())}), flush=True)
