"""Write a convolutional net as a locally connected and as a fully-connected one, exactly, and find the way back.

    python examples/embed.py

Two seconds on one core: CONV ⊂ LOCAL ⊂ FC. The same units, more connections, most of them zero; and the orthogonal
projection of any fully-connected net onto the convolutional ones says how convolutional it is.
"""

import torch

import lcfs

IMAGE = (3, 32, 32)


def main() -> None:
    """Embed S-CONV in S-LOCAL and S-FC, compare the outputs, and project a perturbed net back."""
    torch.manual_seed(0)
    conv = lcfs.build("s-conv", base_channels=2, image=IMAGE).eval()
    images = torch.randn(8, *IMAGE)
    print(f"S-CONV: {lcfs.count_weights(conv):,} weights")
    for into in ("local", "fc"):
        embedded = lcfs.embed(conv, into, IMAGE)
        difference = (embedded(images) - conv(images)).abs().max().item()
        print(f"in {into}: {lcfs.count_weights(embedded):,} weights, largest difference of outputs {difference:.1e}")

    # S-FC takes the embedded weights as they are: layers keep their names.
    fc = lcfs.build("s-fc", base_channels=2, image=IMAGE).eval()
    fc.load_state_dict(lcfs.embed(conv, "fc", IMAGE).state_dict())
    with torch.no_grad():
        for parameter in fc.parameters():
            parameter += 1e-3 * torch.randn_like(parameter)

    nearest = lcfs.project(fc, conv, IMAGE)
    energy = nearest.shared + nearest.local_unshared + nearest.off_local
    print("energy of a perturbed S-FC:")
    print(f"  {100 * nearest.shared / energy:.1f} % in the nearest convolutional net")
    print(f"  {100 * nearest.local_unshared / energy:.1f} % local, but not shared between positions")
    print(f"  {100 * nearest.off_local / energy:.1f} % beyond the reach of the convolutions")


if __name__ == "__main__":
    main()
