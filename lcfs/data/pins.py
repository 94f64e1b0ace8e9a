"""The sha256 of every known split, as `ImageSet.fingerprint` makes it: what a name like cifar10 stands for.

Computed from CIFAR's binary versions (Krizhevsky 2009), scikit-learn's digits as they are split here, and the frozen
signals of MNIST-1D. SVHN is not among them: no copy of its files was at hand when this table was made.
"""

PINNED = {
    ("signals", "train"): "eb31cf4709df41a31ea4bae6f020a444edb3db1bf63cf1f5f920ecba902c46e8",
    ("signals", "test"): "66a4ca2721a50e215dc9122abdcfda34fe7fac2e42c93f45f8de8df324905f8f",
    ("digits", "train"): "639aad4eda9215a1817169434003d9392c3a581d951e04a213d54a4626c715ce",
    ("digits", "test"): "49acf73527afa302c98658ffa18809d61c6f34874fc78ed7f01306ed564bdb4a",
    ("cifar10", "train"): "f3120a8fa253dbdad16aeebfcbcdbe65951c58226061082bf1b61dde3add92d7",
    ("cifar10", "test"): "815bee49b92162b075142619fb16b9562d1186e49d0509d9cf0af8940f739265",
    ("cifar100", "train"): "f317bded07d1d3a909562a1178725e166e72f0c555c98e0a08304de390c326c2",
    ("cifar100", "test"): "c4e5d0f8abe8dec50f355ad5e622c815abd93293ca7b5ab9fd56af32924c2061",
}
"""(name, split) → sha256 of the whole split, without images set aside for validation."""
