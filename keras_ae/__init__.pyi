# the public names and where they are defined: read by type checkers, and by __init__.py when the package is imported

from .data.pipeline import load_data as load_data
from .data.tasks import add_noise as add_noise
from .data.tasks import downscale as downscale
from .exports.load import load as load
from .exports.save import save as save
from .images.figures import show as show
from .models.latents import FSQ as FSQ
from .models.latents import VQ as VQ
from .models.latents import Features as Features
from .models.latents import Gaussian as Gaussian
from .models.latents import Point as Point
from .models.losses import Likelihood as Likelihood
from .models.networks import conv_decoder as conv_decoder
from .models.networks import conv_encoder as conv_encoder
from .models.networks import dense_decoder as dense_decoder
from .models.networks import dense_encoder as dense_encoder
from .models.networks import on_label as on_label
from .models.networks import plain_decoder as plain_decoder
from .models.networks import plain_encoder as plain_encoder
from .models.networks import residual_decoder as residual_decoder
from .models.networks import residual_encoder as residual_encoder
from .models.networks import spatial_decoder as spatial_decoder
from .models.networks import spatial_encoder as spatial_encoder
from .models.objectives import AdversarialAutoencoder as AdversarialAutoencoder
from .models.vae import VAE as VAE
from .priors.autoregressive import Autoregressive as Autoregressive
from .priors.flow import Flow as Flow
from .priors.mixture import Mixture as Mixture
from .priors.mixture import Normal as Normal
from .training.experiment import read as read

__version__: str
